"""Partners: brokers, agencies and comparison sites, with their members and what they may sell."""
