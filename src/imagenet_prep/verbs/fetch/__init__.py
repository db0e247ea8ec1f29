"""What the verb ``fetch`` is made of."""
