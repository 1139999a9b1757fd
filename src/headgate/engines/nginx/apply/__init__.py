"""Apply: from a rendered plan to a proven generation of a real nginx, or back as if never tried."""
