"""The browser page: cartoons of a camera or a file, live over WebRTC, and whole files to take home.

- `settings` what one server is told: style, limits, names
- `access` who may ask for what
- `visitors` visitors of the page, and the places that are drawn in
- `session` one visitor's live pictures: a WebRTC connection and who draws
- `disk` its room, shared out
- `upload` one visitor's file: received, drawn by the process of `worker`, handed out
- `routes` the calls that the page makes, on all of these
- `server` listens, and closes everything
"""
