"""The page of `streamtoon serve`: a live cartoon of a camera over WebRTC, and conversion of whole files.

- `settings`: style, engine and limits of one server
- `access`: which requests are allowed
- `clients`: the open pages, and the slots that limit how many are drawn for
- `session`: one live session, a WebRTC connection with a `render_session`
- `quota`: the disk space of uploads
- `upload`: one file, received, drawn by a `worker` process, and sent back
- `routes`: the HTTP calls of the page
- `connections`: limits on connections
- `server`: starts and stops the server
"""
