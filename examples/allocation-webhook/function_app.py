"""The same webhook as an Azure Function (Python, programming model v2): deploy this file together with webhook.py.

Azure checks the function key itself, so none is given to `respond`.
"""

import json

import azure.functions as func

import webhook

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="allocate", methods=["POST"])
def allocate(request: func.HttpRequest) -> func.HttpResponse:
    status, document = webhook.respond(request.get_body(), "", None)
    return func.HttpResponse(json.dumps(document), status_code=status, mimetype="application/json")
