"""The least that Flask can do: an empty house's answer, served by the very server and settings of the API, to compare with."""

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def hello() -> Response:
    """No token, no database, no metrics: what any Flask app under this server pays."""
    return Response(b'{"hello":"world"}', mimetype="application/json")
