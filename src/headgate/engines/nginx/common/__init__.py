"""What every room of the nginx engine passes on."""
