"""What an audit finds of a value rule: claims, policies, edges, random state, nearest rule, report."""
