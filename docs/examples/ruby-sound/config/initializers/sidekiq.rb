# One constant for both roles.
QUEUE_REDIS = { url: ENV.fetch("REDIS_URL", "redis://localhost:6379/0") }.freeze

Sidekiq.configure_server { |config| config.redis = QUEUE_REDIS }
Sidekiq.configure_client { |config| config.redis = QUEUE_REDIS }
