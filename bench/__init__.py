"""Times and memory of this toolkit and of its peers, measured turn by turn on one machine."""
