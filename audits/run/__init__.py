"""An audit from its file to its evidence: every answer once, whatever interrupts the run."""
