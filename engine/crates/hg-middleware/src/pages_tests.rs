//! Pages and the statuses they are for.

use super::*;

fn text(page: &Page, status: u16) -> String {
    let mut out = Vec::new();
    page.render(status, "id-7", &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn words_are_filled_in_and_scripts_stay() {
    let page = Page::new(&[(400, 599)], "t", "<b>${status}</b> ${reason}, ${request_id}${status}");
    assert_eq!(text(&page, 404), "<b>404</b> Not Found, id-7404");
    assert_eq!(text(&page, 599), "<b>599</b> , id-7599");
    for plain in ["", "$", "${statu}", "`${a}` $${", "${path}"] {
        assert_eq!(text(&Page::new(&[], "t", plain), 404), plain);
    }
}

#[test]
fn the_last_middleware_that_has_a_page_counts_and_of_its_pages_the_first() {
    let page = |first, last, text| Arc::new(Page::new(&[(first, last)], "t", text));
    let pages = |pages: Vec<Arc<Page>>| Pages { pages: pages.into(), results: None };
    let outer = pages(vec![page(400, 599, "any")]);
    let inner = pages(vec![page(503, 503, "busy"), page(500, 599, "server")]);
    let chain = ChainPages([outer, inner].into());
    let found = |status| chain.take(status, Source::Node, 0).map(|page| text(&page, status));
    assert_eq!(found(503).as_deref(), Some("busy"));
    assert_eq!(found(502).as_deref(), Some("server"));
    assert_eq!(found(404).as_deref(), Some("any"));
    assert_eq!(found(399), None);
    assert!(ChainPages::default().take(404, Source::Node, 0).is_none());
}
