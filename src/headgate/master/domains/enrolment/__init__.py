"""Enrolment: a join token and a CSR for a certificate of the fleet's own authority."""
