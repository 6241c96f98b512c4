//! Which scripts run, on which formats.

use super::script::Script;

/// What the user asked for; everything empty means everything.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// `042`, `042-zero-size` or either with `.qcow2`.
    pub tests: Vec<String>,
    /// Only scripts of one of these groups.
    pub groups: Vec<String>,
    /// No script of one of these groups, and none of these tests.
    pub excluded: Vec<String>,
    /// Only these formats.
    pub formats: Vec<String>,
}

/// A word of the user's that fits nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no test fits '{0}'")]
pub struct FitsNothing(pub String);

impl Selection {
    /// Script and format for each run, in the scripts' order.
    pub fn choose<'a>(
        &self,
        scripts: &'a [Script],
    ) -> Result<Vec<(&'a Script, &'a str)>, FitsNothing> {
        let all: Vec<(&Script, &str)> = scripts
            .iter()
            .flat_map(|script| {
                let formats = script.header.formats.iter();
                formats.map(move |format| (script, format.as_str()))
            })
            .collect();
        let nothing = |word: &&String| !all.iter().any(|case| names(word, *case));
        if let Some(word) = self.tests.iter().find(nothing) {
            return Err(FitsNothing(word.clone()));
        }
        let in_group = |word: &String, case: (&Script, &str)| case.0.header.groups.contains(word);
        let groups_or_tests = |word: &String, case| in_group(word, case) || names(word, case);
        Ok(all
            .iter()
            .copied()
            .filter(|case| {
                let any = |words: &[String], fits: &dyn Fn(&String) -> bool| {
                    words.is_empty() || words.iter().any(fits)
                };
                any(&self.tests, &|word| names(word, *case))
                    && any(&self.groups, &|word| in_group(word, *case))
                    && any(&self.formats, &|word| word == case.1)
                    && !self
                        .excluded
                        .iter()
                        .any(|word| groups_or_tests(word, *case))
            })
            .collect())
    }
}

fn names(word: &str, (script, format): (&Script, &str)) -> bool {
    let name = match word.split_once('.') {
        Some((name, wanted)) if wanted == format => name,
        Some(_) => return false,
        None => word,
    };
    name == script.name || name == script.number()
}

#[cfg(test)]
mod tests;
