"""The same by Django, which serves the same views over ASGI and over WSGI."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.files.uploadedfile import UploadedFile
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.urls import path, reverse

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of the tests", MIDDLEWARE=[])
django.setup()


def item(request: HttpRequest, number: int) -> HttpResponse:
    url = request.build_absolute_uri(reverse("item", args=[number]))
    return JsonResponse({"number": number, "q": request.GET.get("q", ""), "url": url})


def echo(request: HttpRequest) -> HttpResponse:
    return JsonResponse(json.loads(request.body))


def form(request: HttpRequest) -> HttpResponse:
    return JsonResponse(request.POST.dict())


def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    assert isinstance(file, UploadedFile)
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse({"name": file.name, "size": file.size, "sha": digest.hexdigest()})


def redirect(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(reverse("item", args=[7]))


def cookies(request: HttpRequest) -> HttpResponse:
    response = JsonResponse(request.COOKIES)
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


def fail(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("by django")


def stream(request: HttpRequest) -> Any:
    pieces = [f"piece {i}\n" for i in range(5)]

    async def later() -> Any:
        for piece in pieces:
            yield piece

    over_asgi = not hasattr(request, "environ")
    return StreamingHttpResponse(later() if over_asgi else pieces, content_type="text/plain")


urlpatterns = [
    path("items/<int:number>", item, name="item"),
    path("echo", echo),
    path("form", form),
    path("upload", upload),
    path("redirect", redirect),
    path("cookies", cookies),
    path("raise", fail),
    path("stream", stream),
]

asgi = get_asgi_application()
wsgi = get_wsgi_application()
