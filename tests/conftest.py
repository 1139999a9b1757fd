"""What holds for every test: property tests count examples, not seconds; a busy machine is no
failure."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "headgate", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("headgate")
