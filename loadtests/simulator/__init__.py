"""The whole service in simulated time: real routing, scheduling and autoscaling code, no requests sent."""
