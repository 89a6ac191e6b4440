"""Who is tested on whom, what was predicted, and what the scores are worth."""
