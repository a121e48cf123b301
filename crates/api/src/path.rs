//! Path parameters, read so that every misfit has the name of its parameter.
//!
//! axum's own reader loses the name where a type checks its text after serde has read it, as `try_from` does, and
//! ids do. This one knows it at the place where a value is handed to its type.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// What does not fit, and the parameter that it is about if that is known.
#[derive(Debug, Default)]
pub(crate) struct Misfit {
    pub(crate) name: String,
    pub(crate) what: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self { name: String::new(), what: what.to_string() }
    }
}

impl Misfit {
    fn of(mut self, name: &str) -> Self {
        if self.name.is_empty() {
            name.clone_into(&mut self.name);
        }
        self
    }
}

/// A value of the parameters: from one a primitive or an id, from several a tuple in the order of the route, from
/// any number a struct by name.
pub(crate) fn read<T: DeserializeOwned>(params: &[(String, String)]) -> Result<T, Misfit> {
    T::deserialize(Params(params)).map_err(|misfit| match params {
        [(name, _)] => misfit.of(name),
        _ => misfit,
    })
}

struct Params<'de>(&'de [(String, String)]);

impl<'de> Params<'de> {
    fn only(self) -> Result<Value<'de>, Misfit> {
        match self.0 {
            [(_, value)] => Ok(Value(value)),
            _ => Err(de::Error::custom("the route has another number of parameters than its handler")),
        }
    }
}

macro_rules! of_the_only_one {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            self.only()?.$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Params<'de> {
    type Error = Misfit;

    of_the_only_one! {
        deserialize_any deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_option
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Misfit> {
        if self.0.len() == length {
            visitor.visit_seq(self)
        } else {
            Err(de::Error::custom("the route has another number of parameters than its handler"))
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_map(Named { rest: self.0, value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct seq identifier ignored_any }
}

impl<'de> SeqAccess<'de> for Params<'de> {
    type Error = Misfit;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Misfit> {
        let Some(((name, value), rest)) = self.0.split_first() else { return Ok(None) };
        self.0 = rest;
        seed.deserialize(Value(value)).map(Some).map_err(|misfit| misfit.of(name))
    }
}

/// Parameters by name; `value` is the one whose name was read last.
struct Named<'de> {
    rest: &'de [(String, String)],
    value: Option<&'de (String, String)>,
}

impl<'de> MapAccess<'de> for Named<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((first, rest)) = self.rest.split_first() else { return Ok(None) };
        (self.rest, self.value) = (rest, Some(first));
        seed.deserialize(BorrowedStrDeserializer::new(&first.0)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Misfit> {
        let Some((name, value)) = self.value else {
            return Err(de::Error::custom("a value before its name"));
        };
        seed.deserialize(Value(value)).map_err(|misfit| misfit.of(name))
    }
}

struct Value<'de>(&'de str);

macro_rules! parsed {
    ($($method:ident $visit:ident $type:literal)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            let value = self.0.parse().map_err(|_| <Misfit as de::Error>::custom(concat!("expected ", $type)))?;
            visitor.$visit(value)
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Misfit;

    parsed! {
        deserialize_bool visit_bool "true or false"
        deserialize_char visit_char "one character"
        deserialize_i8 visit_i8 "i8"
        deserialize_i16 visit_i16 "i16"
        deserialize_i32 visit_i32 "i32"
        deserialize_i64 visit_i64 "i64"
        deserialize_i128 visit_i128 "i128"
        deserialize_u8 visit_u8 "u8"
        deserialize_u16 visit_u16 "u16"
        deserialize_u32 visit_u32 "u32"
        deserialize_u64 visit_u64 "u64"
        deserialize_u128 visit_u128 "u128"
        deserialize_f32 visit_f32 "f32"
        deserialize_f64 visit_f64 "f64"
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        BorrowedStrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// An id that checks its text after serde has read it.
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(try_from = "String")]
    struct Even(usize);

    impl TryFrom<String> for Even {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, &'static str> {
            if text.len().is_multiple_of(2) { Ok(Self(text.len())) } else { Err("odd") }
        }
    }

    #[derive(Debug, Deserialize)]
    struct Wrapped(Even);

    #[derive(Debug, Deserialize)]
    struct Both {
        story: Even,
        part: Option<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        Newest,
    }

    fn params(values: &[&str]) -> Vec<(String, String)> {
        let name = |name: &str| name.to_owned();
        [name("story"), name("part")].into_iter().zip(values.iter().map(|text| name(text))).collect()
    }

    #[test]
    fn what_fits() {
        let (one, two) = (params(&["ab"]), params(&["ab", "7"]));
        assert_eq!(read::<String>(&one).unwrap(), "ab");
        assert_eq!(read::<Wrapped>(&one).unwrap().0, Even(2));
        assert_eq!(read::<(Even, u64)>(&two).unwrap(), (Even(2), 7));
        let both = read::<Both>(&two).unwrap();
        assert_eq!((both.story, both.part), (Even(2), Some(7)));
        assert_eq!(read::<(Order, bool)>(&params(&["newest", "true"])).unwrap(), (Order::Newest, true));
    }

    #[test]
    fn misfits_are_named() {
        let (one, two, small) = (params(&["abc"]), params(&["ab", "c"]), params(&["ab", "256"]));
        let misfits = [
            (read::<Even>(&one).unwrap_err(), "story: odd"),
            (read::<Wrapped>(&one).unwrap_err(), "story: odd"),
            (read::<u64>(&one).unwrap_err(), "story: expected u64"),
            (read::<Order>(&one).unwrap_err(), "story: unknown variant `abc`, expected `newest`"),
            (read::<(String, Even)>(&two).unwrap_err(), "part: odd"),
            (read::<Both>(&small).unwrap_err(), "part: expected u8"),
            (
                read::<Even>(&two).unwrap_err(),
                ": the route has another number of parameters than its handler",
            ),
            (
                read::<(Even, u8, u8)>(&two).unwrap_err(),
                ": the route has another number of parameters than its handler",
            ),
        ];
        for (misfit, text) in misfits {
            assert_eq!(misfit.to_string(), text);
        }
    }
}
