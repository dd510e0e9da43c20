"""A Django site in one file. `application` is ASGI; with `get_wsgi_application` it would be WSGI, and nothing else changes."""

from __future__ import annotations

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse

settings.configure(
    SECRET_KEY="an example has no secrets",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
)


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Django, mounted at {reverse('index')}\n")


async def hello(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(f"Hello {name}\n")


urlpatterns = [path("", index, name="index"), path("<name>", hello)]
application = get_asgi_application()
