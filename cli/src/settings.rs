//! `settings check`: what a file of settings says, before processes read it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Subcommand, ValueHint};
use fuseboard::{CircuitName, Config, Settings};
use serde_json::{Map, Value, json};

use crate::{
    args,
    ending::Ending,
    json, output,
    text::{shown, width},
};

/// What to do with a file of settings.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SettingsVerb {
    /// Says whether processes would take a file, and what a circuit has by it. Reads no table.
    Check {
        /// The file: TOML or JSON, by the end of its name.
        #[arg(value_parser = file, value_hint = ValueHint::FilePath)]
        file: PathBuf,

        /// Shows the settings of this circuit, those that the file leaves out too.
        #[arg(value_name = "CIRCUIT", value_parser = args::circuit)]
        circuit: Option<CircuitName>,
    },
}

/// A file is of one of these formats.
fn file(text: &str) -> Result<PathBuf, String> {
    match Path::new(text).extension().and_then(|end| end.to_str()) {
        Some("toml" | "json") => Ok(text.into()),
        Some(_) | None => Err("must end in .toml or .json".to_owned()),
    }
}

/// Does what was asked for.
pub(crate) fn run(verb: SettingsVerb, is_json: bool) -> Result<(), Ending> {
    let SettingsVerb::Check { file, circuit } = verb;
    let name = shown(&file.display().to_string());
    match read(&file) {
        Ok((settings, checksum)) => {
            let of = circuit.map(|circuit| Part::of(&settings, circuit));
            output::print(&if is_json {
                let circuit = of.map(|of| of.json());
                let told =
                    json!({"file": name, "ok": true, "checksum": checksum, "circuit": circuit});
                json::pages(&told)
            } else {
                let page = of.map(|of| of.page()).unwrap_or_default();
                format!("{name} is valid; its checksum is {checksum}\n{page}")
            })
        }
        Err(error) => {
            if is_json {
                let told = json!({"file": name, "ok": false, "error": error});
                output::print(&json::pages(&told))?;
            }
            Err(Ending::failed(format_args!("{name}: {error}")))
        }
    }
}

/// Reads settings as a process does, and the checksum that it tells.
fn read(file: &Path) -> Result<(Settings, u32), String> {
    let text = fs::read_to_string(file).map_err(|error| format!("it cannot be read: {error}"))?;
    if text.trim().is_empty() {
        return Err("it is empty, which processes refuse: write [default] for the defaults".into());
    }
    let is_json = file.extension().is_some_and(|end| end == "json");
    let settings = if is_json {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        toml::from_str(&text).map_err(|error| told(&error, &text))
    };
    Ok((settings?, Settings::checksum_of(&text)))
}

/// The error in one line, with the number of the line that it is about, if it is about one.
fn told(error: &toml::de::Error, text: &str) -> String {
    let before =
        error.span().and_then(|span| text.get(..span.start)).filter(|text| !text.is_empty());
    let line = before.map(|before| before.matches('\n').count().saturating_add(1));
    let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    format!("{line}{}", error.message().trim().replace('\n', " "))
}

/// The settings of one circuit, and the part of the file that has them.
struct Part {
    circuit: CircuitName,
    name: String,
    values: Vec<(&'static str, String, bool)>,
}

impl Part {
    fn of(settings: &Settings, circuit: CircuitName) -> Self {
        let config = settings.of(circuit.as_str());
        let defaults = Config::default().values();
        let values = config.values().into_iter().zip(defaults);
        let values = values.map(|((setting, value), (_, default))| {
            let is_default = value == default;
            (setting, value, is_default)
        });
        Self { name: settings.part_of(circuit.as_str()), values: values.collect(), circuit }
    }

    fn page(&self) -> String {
        let mut text = format!("{} has what [{}] says\n", self.circuit, shown(&self.name));
        let widths = self.values.iter().map(|(setting, ..)| width(setting));
        let widest = widths.max().unwrap_or_default();
        for (setting, value, is_default) in &self.values {
            let aside = if *is_default { " (default)" } else { "" };
            text += &format!("  {setting:<widest$}  {value}{aside}\n");
        }
        text
    }

    fn json(&self) -> Value {
        let values =
            self.values.iter().map(|(setting, value, _)| ((*setting).to_owned(), typed(value)));
        let values: Map<String, Value> = values.collect();
        json!({"name": self.circuit, "part": self.name, "settings": values})
    }
}

/// Numbers, truths and what is not set as JSON has them; all else as text.
fn typed(value: &str) -> Value {
    match value {
        "none" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => text.parse::<u64>().map_or_else(|_| text.into(), Into::into),
    }
}
