"""Key sets that are fetched: from a URL to the folder that the compiler reads."""
