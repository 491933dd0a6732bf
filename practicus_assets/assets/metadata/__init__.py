"""What metadata of assets and inputs say of a table, in our words and in those of other IO managers."""
