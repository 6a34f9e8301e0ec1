"""The proof that nothing leaks, from the files alone, and the summary that says it. Changes nothing that it checks."""
