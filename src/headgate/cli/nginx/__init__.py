"""`headgate nginx …`: an nginx that is run, watched or taken over."""
