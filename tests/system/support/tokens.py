"""A small OpenID provider on loopback: an unsecured token (RFC 7515, alg "none") for whoever has the client's secret."""

import base64
import http.server
import json
import threading
import time

LIFE_S = 600


def _part(fields):
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


def unsecured(subject):
    now = int(time.time())
    return f'{_part({"alg": "none"})}.{_part({"sub": subject, "iat": now, "exp": now + LIFE_S})}.'


class Provider:
    """Use as a context manager. `asked`: how often a token was asked for, `refused`: of those with a wrong secret."""

    def __init__(self, port, client, secret):
        self.url = f"http://127.0.0.1:{port}/token"
        self.asked = self.refused = 0
        right = "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                provider.asked += 1
                granted = self.headers.get("Authorization") == right
                provider.refused += not granted
                answer = {"access_token": unsecured(client), "token_type": "bearer", "expires_in": LIFE_S} \
                    if granted else {"error": "invalid_client"}
                body = json.dumps(answer).encode()
                self.send_response(200 if granted else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
