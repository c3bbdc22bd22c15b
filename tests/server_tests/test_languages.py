"""The nodes in ComfyUI's own page in each language: titles, inputs, outputs, widgets, tooltips."""

import pytest
from paintsundo_pack.nodes import NODES

from tools import translations

BROWSER_LANGUAGE = {"zh": "zh-CN", "ja": "ja-JP"}
IS_READY = "() => !!window.app?.graph && !!window.LiteGraph?.registered_node_types['PaintsUndoAssembleVideo']"
# Page 1.32.9 drops all packs' translations when it loads its own, of a language other than English (ComfyUI_frontend
# issue 6748). Later pages add them again by themselves, with the same call; there this changes nothing.
MERGE = """async language => {
    const vue = document.querySelector('#vue-app').__vue_app__;
    const i18n = vue._context.provides[vue.__VUE_I18N_SYMBOL__].global;
    i18n.mergeLocaleMessage(language, (await window.app.api.getCustomNodesI18n())[language]);
    await window.app.registerNodes();
}"""
NODES_ON_CANVAS = """() => Object.fromEntries(Object.keys(LiteGraph.registered_node_types)
    .filter(type => type.startsWith('PaintsUndo'))
    .map(type => {
        const node = LiteGraph.createNode(type);
        return [type, {
            title: node.title,
            category: LiteGraph.registered_node_types[type].category,
            inputs: Object.fromEntries(node.inputs.map(slot => [slot.name, slot.localized_name])),
            widgets: Object.fromEntries((node.widgets ?? []).map(widget => [widget.name, widget.label])),
            outputs: node.outputs.map(slot => slot.localized_name),
        }];
    }))"""
TEXT = """key => document.querySelector('#vue-app').__vue_app__.config.globalProperties.$t(key)"""
SCHEMAS = [node.define_schema() for node in NODES]


@pytest.fixture(scope="module", params=translations.LANGUAGES)
def page(server, chromium, request):
    """ComfyUI's page in a headless browser whose user reads this language; with the language."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_context(locale=BROWSER_LANGUAGE[request.param]).new_page()
        tab.goto(server.url)
        tab.wait_for_function(IS_READY, timeout=60_000)
        tab.evaluate("() => window.app.canvas.stopRendering()")
        tab.evaluate(MERGE, request.param)
        yield tab, request.param
        browser.close()


def test_nodes_have_their_translated_names_on_the_canvas(page):
    tab, language = page
    texts = translations.translated_texts(language)
    on_canvas = tab.evaluate(NODES_ON_CANVAS)
    for schema in SCHEMAS:
        node, key = on_canvas[schema.node_id], f"nodeDefs.{schema.node_id}"
        # A node that landed without this language keeps its English: test_translations.py says so.
        if f"{key}.display_name" not in texts:
            continue
        assert node["title"] == texts[f"{key}.display_name"]
        for name, shown in node["inputs"].items():
            assert shown == texts.get(f"{key}.inputs.{name}.name", name), (schema.node_id, name)
        for name in node["widgets"].keys() & {item.id for item in schema.inputs}:
            assert node["widgets"][name] == texts.get(f"{key}.inputs.{name}.name", name), (
                schema.node_id,
                name,
            )
        for number, shown in enumerate(node["outputs"]):
            if translated := texts.get(f"{key}.outputs.{number}.name"):
                assert shown == translated, (schema.node_id, number)


def test_every_text_reaches_the_page_as_it_is_written(page):
    # The page takes some signs for its own syntax and would leave them out.
    tab, language = page
    for key, text in translations.translated_texts(language).items():
        if key.startswith("nodeDefs"):
            assert tab.evaluate(TEXT, key) == text, key
