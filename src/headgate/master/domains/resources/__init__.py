"""Resources: the objects of a workspace's config, as the next revision will have them."""
