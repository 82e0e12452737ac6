"""How the keyspace probe tells owners apart."""
