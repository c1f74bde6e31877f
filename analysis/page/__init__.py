"""The report page: claims, explorer, rules and studies in one file that needs no network."""
