//! Reads content from JSON, saying which field is wrong and why.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{CODE_PATH, Content, DOCUMENTATION_PATH, File, FileKind, Language, MAX_FILES, path};

impl<'de> Deserialize<'de> for Content<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// A field, as messages name it.
#[derive(Clone, Copy)]
enum Field {
    Language,
    Files,
    Code,
    Documentation,
    Path(usize),
    Text(usize),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Language => f.write_str("`language`"),
            Field::Files => f.write_str("`files`"),
            Field::Code => f.write_str("`code`"),
            Field::Documentation => f.write_str("`documentation`"),
            Field::Path(index) => write!(f, "`files[{index}].path`"),
            Field::Text(index) => write!(f, "`files[{index}].text`"),
        }
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("content to be an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut language, mut files, mut code, mut documentation) = (None, None, None, None);
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "language" => once(&mut language, Field::Language, &mut map, TextOf(Field::Language))?,
                "files" => once(&mut files, Field::Files, &mut map, FilesSeed)?,
                "code" => once(&mut code, Field::Code, &mut map, TextOf(Field::Code))?,
                "documentation" => {
                    once(&mut documentation, Field::Documentation, &mut map, TextOf(Field::Documentation))?
                }
                _ => map.next_value::<Storable>().map(drop)?,
            }
        }
        assemble(language.flatten(), files.flatten(), code.flatten(), documentation.flatten())
            .map_err(de::Error::custom)
    }
}

/// Reads the value of a field that may be given once.
fn once<'de, A: MapAccess<'de>, S: DeserializeSeed<'de>>(
    slot: &mut Option<S::Value>,
    field: Field,
    map: &mut A,
    seed: S,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(de::Error::custom(format_args!("{field} is given twice")));
    }
    *slot = Some(map.next_value_seed(seed)?);
    Ok(())
}

/// A file as given, before its kind is known: that may hang on a `language` that comes after it.
type RawFile<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Checks what no single field can show, and sorts the texts by kind.
fn assemble<'a>(
    language: Option<Cow<'a, str>>,
    raw: Option<Vec<RawFile<'a>>>,
    code: Option<Cow<'a, str>>,
    documentation: Option<Cow<'a, str>>,
) -> Result<Content<'a>, String> {
    let language = language
        .map(|name| name.parse::<Language>())
        .transpose()
        .map_err(|e| format!("{}: {e}", Field::Language))?;
    let mut files = match (raw, code) {
        (Some(_), Some(_)) => return Err("content takes `files` or `code`, not both".to_owned()),
        (None, None) => return Err("content needs `files` or `code`".to_owned()),
        (None, Some(text)) => {
            let kind = language.map_or(FileKind::UndeclaredSource, FileKind::Source);
            vec![File { path: Cow::Borrowed(CODE_PATH), text, kind }]
        }
        (Some(raw), None) => sorted_by_kind(raw, language)?,
    };
    if let Some(text) = documentation {
        files.push(File { path: Cow::Borrowed(DOCUMENTATION_PATH), text, kind: FileKind::Document });
    }
    let blank = |text: &str| text.chars().all(|c| c.is_whitespace() || c == '\u{feff}');
    if files.iter().all(|file| blank(&file.text)) {
        return Err("there is nothing to score: every text is empty".to_owned());
    }
    Ok(Content { language, files })
}

fn sorted_by_kind<'a>(raw: Vec<RawFile<'a>>, language: Option<Language>) -> Result<Vec<File<'a>>, String> {
    let mut seen = HashSet::with_capacity(raw.len());
    for (index, (path, _)) in raw.iter().enumerate() {
        let field = Field::Path(index);
        if let Some(fault) = path::fault(path) {
            return Err(format!("{field} {:?} {fault}", path.chars().take(80).collect::<String>()));
        }
        if !seen.insert(path::normalized(path)) {
            return Err(format!("{field} {path:?} names the same file as an earlier one"));
        }
    }
    let with_kind = |(path, text): RawFile<'a>| File { kind: path::kind(&path, language), path, text };
    Ok(raw.into_iter().map(with_kind).collect())
}

/// Text that Postgres can hold, borrowed where possible; `None` for null.
struct TextOf(Field);

impl<'de> DeserializeSeed<'de> for TextOf {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl TextOf {
    fn checked<'a, E: de::Error>(&self, text: Cow<'a, str>) -> Result<Option<Cow<'a, str>>, E> {
        without_nul(&text, &self.0)?;
        Ok(Some(text))
    }
}

impl<'de> Visitor<'de> for TextOf {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to be text", self.0)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.checked(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.checked(Cow::Owned(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
        self.checked(Cow::Owned(text))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

fn without_nul<E: de::Error>(text: &str, place: &dyn fmt::Display) -> Result<(), E> {
    if text.as_bytes().contains(&0) {
        return Err(E::custom(format_args!("{place} holds a NUL character, which Postgres cannot store")));
    }
    Ok(())
}

struct FilesSeed;

impl<'de> DeserializeSeed<'de> for FilesSeed {
    type Value = Option<Vec<RawFile<'de>>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FilesSeed {
    type Value = Option<Vec<RawFile<'de>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`files` to be a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut files = Vec::new();
        while let Some(file) = seq.next_element_seed(FileSeed(files.len()))? {
            if files.len() == MAX_FILES {
                let message = format_args!("`files` holds more than {MAX_FILES} files, which is the limit");
                return Err(de::Error::custom(message));
            }
            files.push(file);
        }
        Ok(Some(files))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct FileSeed(usize);

impl<'de> DeserializeSeed<'de> for FileSeed {
    type Value = RawFile<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FileSeed {
    type Value = RawFile<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`files[{}]` to be an object with `path` and `text`", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut path, mut text) = (None, None);
        let (path_field, text_field) = (Field::Path(self.0), Field::Text(self.0));
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "path" => once(&mut path, path_field, &mut map, TextOf(path_field))?,
                "text" => once(&mut text, text_field, &mut map, TextOf(text_field))?,
                _ => map.next_value::<Storable>().map(drop)?,
            }
        }
        let missing = |field: Field| de::Error::custom(format_args!("{field} is missing"));
        let path = path.flatten().ok_or_else(|| missing(path_field))?;
        let text = text.flatten().ok_or_else(|| missing(text_field))?;
        Ok((path, text))
    }
}

/// The name of a field.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> Result<Self::Value, E> {
                without_nul(key, &"a field's name")?;
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
                without_nul(key, &"a field's name")?;
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// A value of a client's own field: walked and dropped, to learn whether Postgres could store it.
///
/// It recurses, which is safe because serde_json refuses JSON deeper than 128 levels.
struct Storable;

impl<'de> Deserialize<'de> for Storable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StorableVisitor)
    }
}

struct StorableVisitor;

impl<'de> Visitor<'de> for StorableVisitor {
    type Value = Storable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        without_nul(text, &"a text")?;
        Ok(Storable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<Storable>()?.is_some() {}
        Ok(Storable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<Key<'de>, Storable>()?.is_some() {}
        Ok(Storable)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Storable)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Storable)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Storable)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Storable)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Storable)
    }
}
