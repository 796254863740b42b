"""Speed and memory against named baselines, each measured in one run. `make bench` runs them all."""
