"""Which Redis the shop's jobs go through: said once, and imported by whoever pushes or runs them."""

import os

import kiqdoctor

kiqdoctor.configure(redis=os.environ.get("REDIS_URL", "redis://localhost:6379/0"))
