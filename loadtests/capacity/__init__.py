"""How many GPUs a load needs: fractions that fit, replicas, head-room, cost."""
