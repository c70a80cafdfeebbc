"""What code a job runs, definition by definition, and a hash of it (:mod:`.code`)."""
