"""A web UI behind a login, of the same Redis."""

from kiqdoctor.doctor.facts.web import Bracketed, Mount, WebAsset, WebAssets, WebCounts, WebDoor, WebFiles, WebPost

URL = "https://admin.example.org/sidekiq"
DOOR = WebDoor(URL, "10.0.0.9", 401, asked="status 401")
STYLE = WebAsset("/sidekiq/stylesheets/application.css", "css", 200, "text/css", 9000)
SCRIPT = WebAsset("/sidekiq/javascripts/application.js", "js", 200, "text/javascript", 9000)
LOGO = WebAsset("/sidekiq/images/logo.png", "img", 200, "image/png", 900)
ASSETS = WebAssets(URL, (STYLE, SCRIPT, LOGO))
POST = WebPost(f"{URL}/busy", 302, token=True, cookie="sent")
ROUND = (Bracketed("processed", 1200, 1200, 1200), Bracketed("failed", 7, 7, 7))
COUNTS = WebCounts(URL, (ROUND,) * 3, "7.2.4")
MOUNT = Mount("config/routes.rb", 9, ("authenticate :user",))
FACTS = (DOOR, ASSETS, POST, COUNTS, WebFiles((MOUNT,)))
