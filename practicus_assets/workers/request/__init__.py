"""What a step asks for: the fields of a worker, checked, and as Kubernetes spells them."""
