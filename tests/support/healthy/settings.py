"""Settings that agree: both roles use one Redis."""

from kiqdoctor.doctor.facts.settings import RedisSetting, RedisSettings

SETTING = RedisSetting("server", "config/initializers/sidekiq.rb", 1, url="ENV[REDIS_URL]")
FACTS = (RedisSettings((SETTING, RedisSetting("client", "config/initializers/sidekiq.rb", 5, url="ENV[REDIS_URL]"))),)
