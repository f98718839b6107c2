"""What requests carry and answers hold, as models with examples: /openapi.json is made of them."""
