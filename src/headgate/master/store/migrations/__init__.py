"""The steps from each schema to the next; a step is never changed once it was released."""
