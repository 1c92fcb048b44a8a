//! Stand-in.
use crate::Error;
use crate::model::Version;

pub(crate) fn encode(body: &[u8], _older: Option<(Version, &[u8])>) -> Vec<u8> {
    body.to_vec()
}
pub(crate) struct Stored<'a>(&'a [u8]);
impl<'a> Stored<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Stored(bytes))
    }
    pub(crate) fn base(&self) -> Option<Version> {
        None
    }
    pub(crate) fn decode(&self, _older: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        Ok(self.0.to_vec())
    }
}
