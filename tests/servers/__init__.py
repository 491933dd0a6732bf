"""Real servers for tests: started on free ports in folders of their own, and stopped."""
