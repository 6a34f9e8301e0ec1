"""Loading models, one flat forward for the Llama family, reward heads, the embedded base model."""
