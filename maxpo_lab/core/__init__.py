"""Arrays, arguments, rewards and coefficients: what every other folder is made from."""
