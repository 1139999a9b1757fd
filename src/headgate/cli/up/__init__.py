"""`headgate up`: a master, an agent and demo upstreams on one machine."""
