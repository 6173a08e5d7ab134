"""What a search leaves: weights and a manifest. Data only; `runtime` runs it."""
