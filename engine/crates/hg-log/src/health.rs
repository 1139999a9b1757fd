//! The state of the sink, as people are told of it.

use hg_otlp::News;

/// The failures that go on; people are told of the first, and of the end of the last.
#[derive(Debug, Default)]
pub(crate) struct Health {
    write: Option<String>,
    reopen: Option<String>,
}

impl Health {
    /// Returns the reason; `None` while lines arrive where they belong.
    pub(crate) fn why(&self) -> Option<&str> {
        self.write.as_deref().or(self.reopen.as_deref())
    }

    /// Takes the reason for which the last write failed; `None` if it did not.
    pub(crate) fn wrote(&mut self, failure: Option<String>) -> Option<News> {
        let had = self.why().is_some();
        self.write = failure;
        self.news(had)
    }

    /// Takes the reason for which the last reopening failed; `None` if it did not.
    pub(crate) fn reopened(&mut self, failure: Option<String>) -> Option<News> {
        let had = self.why().is_some();
        self.reopen = failure;
        self.news(had)
    }

    fn news(&self, had: bool) -> Option<News> {
        match (had, self.why()) {
            (false, Some(why)) => Some(News::Failing(why.to_owned())),
            (true, None) => Some(News::Working),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(why: &str) -> Option<News> {
        Some(News::Failing(why.into()))
    }

    #[test]
    fn a_failure_is_told_once_until_it_is_over() {
        let mut health = Health::default();
        assert_eq!(health.wrote(None), None);
        assert_eq!(health.wrote(Some("full".into())), failing("full"));
        assert_eq!(health.wrote(Some("gone".into())), None);
        assert_eq!(health.why(), Some("gone"));
        assert_eq!(health.wrote(None), Some(News::Working));
        assert_eq!(health.wrote(None), None);
    }

    #[test]
    fn writing_to_the_old_file_does_not_mend_a_reopening() {
        let mut health = Health::default();
        assert_eq!(health.reopened(Some("denied".into())), failing("denied"));
        assert_eq!(health.wrote(None), None);
        assert_eq!(health.why(), Some("denied"));
        assert_eq!(health.reopened(None), Some(News::Working));
    }
}
