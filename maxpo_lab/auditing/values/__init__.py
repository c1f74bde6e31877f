"""What an audit finds of a value rule: its claims, policies, edges, random state, nearest rule, and report."""
