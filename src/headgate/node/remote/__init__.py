"""The control link over TCP: what both ends say first, their certificates, the control's end."""
