"""What a model can do, with intervals, on prompts that no training stage could open.

Opens evaluation purposes only; trains nothing and draws nothing.
"""
