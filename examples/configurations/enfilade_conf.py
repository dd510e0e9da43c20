from enfilade.config import App, Config, Route, Server, Site

config = Config(
    server=Server(http=["127.0.0.1:8000"]),
    sites={"*": Site(routes={"/api/*": Route(app="shop"), "/*": Route(files="web", spa=True)})},
    apps={"shop": App(target="shop.main:app")},
)
