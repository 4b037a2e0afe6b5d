use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexDescription, GlobalSecondaryIndexUpdate, IndexStatus, KeySchemaElement, KeyType,
    Projection as SdkProjection, ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use kernel::{BoxError, Error};

use crate::config::Client;
use crate::def::{IndexDef, KeyDef, Projection, TableDef};
use crate::fault::fault;

/// The tables differ from their definitions, or could not be compared with them.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The differences, one sentence each that ends with the remedy.
    #[error("the tables are not as they must be:\n  {}", .0.join("\n  "))]
    Differs(Vec<String>),
    /// A table did not become ready in time.
    #[error("the table {0} is still not ready after {after:?}; look at its state, then start again", after = READY_TIMEOUT)]
    NotReady(String),
    /// DynamoDB does not answer, or refuses.
    #[error(
        "DynamoDB can't be asked about its tables; check the endpoint, the region and the credentials (of a running mesh: \
             MESH_DATA_DIR)"
    )]
    Store(#[source] BoxError),
}

impl From<Error> for SchemaError {
    fn from(error: Error) -> Self {
        Self::Store(error.into())
    }
}

/// Timeout for a table or an index to become ready: AWS makes a table within seconds, an index of an existing one
/// within minutes.
const READY_TIMEOUT: Duration = Duration::from_secs(600);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Client {
    /// Makes the tables and the indexes that are missing, waits until all are ready, and verifies those that were
    /// there.
    ///
    /// May run in several processes at once, and again. Never changes the key of a table, nor an index that is there.
    ///
    /// # Errors
    /// As [`verify`](Self::verify); also when a table can't be made.
    pub async fn create_or_verify(&self, defs: &[&'static TableDef]) -> Result<(), SchemaError> {
        let mut made = Vec::new();
        for def in defs {
            if self.describe(def).await?.is_none() {
                self.create(def).await?;
                made.push(*def);
            }
        }
        for def in defs {
            self.wait_until_ready(def).await?;
            self.add_indexes(def).await?;
            self.set_ttl(def).await?;
        }
        for def in made {
            tracing::info!(table = self.name(def), "made a table");
        }
        self.verify(defs).await
    }

    /// Compares the tables with their definitions.
    ///
    /// # Errors
    /// [`SchemaError::Differs`] with all that differs in all the tables; [`SchemaError::Store`].
    pub async fn verify(&self, defs: &[&'static TableDef]) -> Result<(), SchemaError> {
        let mut differences = Vec::new();
        for def in defs {
            let name = self.name(def);
            match self.describe(def).await? {
                None => differences.push(format!("{name} is missing: create it, or let the program do so at start")),
                Some(found) => {
                    compare(&name, def, &found, &mut differences);
                    if let Some(attribute) = def.ttl
                        && self.ttl(def).await?.as_deref() != Some(attribute)
                    {
                        differences.push(format!(
                            "{name} does not expire its items: set its time to live to the attribute {attribute}"
                        ));
                    }
                }
            }
        }
        if differences.is_empty() { Ok(()) } else { Err(SchemaError::Differs(differences)) }
    }

    async fn describe(&self, def: &TableDef) -> Result<Option<TableDescription>, Error> {
        let name = self.name(def);
        match self.sdk.describe_table().table_name(&name).send().await {
            Ok(output) => Ok(output.table),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => Ok(None),
            Err(error) => Err(fault("DescribeTable", &name, &error)),
        }
    }

    async fn create(&self, def: &TableDef) -> Result<(), Error> {
        let name = self.name(def);
        let indexes: Vec<_> = def.indexes.iter().map(index).collect::<Result<_, _>>()?;
        let created = self
            .sdk
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes(def)?))
            .set_key_schema(Some(schema(def.key)?))
            .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            // Another process was faster.
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => Ok(()),
            Err(error) => Err(fault("CreateTable", &name, &error)),
        }
    }

    /// Adds the indexes that a table of an earlier version lacks: one at a time, as DynamoDB demands.
    async fn add_indexes(&self, def: &TableDef) -> Result<(), SchemaError> {
        while let Some(index) = self.missing_index(def).await? {
            let added = self.add_index(def, index).await;
            self.wait_until_ready(def).await?;
            // Another process may have been faster.
            if let Err(error) = added
                && self.missing_index(def).await?.is_some_and(|missing| missing.name == index.name)
            {
                return Err(error.into());
            }
            tracing::info!(table = self.name(def), index = index.name, "added an index");
        }
        Ok(())
    }

    /// Returns the first missing index of the table, if the table's key is that of the definition.
    async fn missing_index(&self, def: &TableDef) -> Result<Option<&'static IndexDef>, Error> {
        let Some(found) = self.describe(def).await? else { return Ok(None) };
        let is_meant = spell_schema(found.key_schema(), found.attribute_definitions()) == spell(def.key);
        let is_there = |index: &&IndexDef| named(&found, index.name).is_some();
        Ok(def.indexes.iter().filter(|_| is_meant).find(|index| !is_there(index)))
    }

    async fn add_index(&self, def: &TableDef, index: &IndexDef) -> Result<(), Error> {
        let name = self.name(def);
        let create = CreateGlobalSecondaryIndexAction::builder()
            .index_name(index.name)
            .set_key_schema(Some(schema(index.key)?))
            .projection(projection(index.projection))
            .build()
            .map_err(Error::internal)?;
        let added = self
            .sdk
            .update_table()
            .table_name(&name)
            .set_attribute_definitions(Some(definitions(index.key.attributes())?))
            .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(create).build())
            .send()
            .await;
        match added {
            Ok(_) => Ok(()),
            Err(error) => Err(fault("UpdateTable", &name, &error)),
        }
    }

    async fn wait_until_ready(&self, def: &TableDef) -> Result<(), SchemaError> {
        let ready = async {
            loop {
                if self.describe(def).await?.is_some_and(|table| is_ready(&table)) {
                    return Ok(());
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        tokio::time::timeout(READY_TIMEOUT, ready).await.unwrap_or_else(|_| Err(SchemaError::NotReady(self.name(def))))
    }

    async fn set_ttl(&self, def: &TableDef) -> Result<(), Error> {
        let Some(attribute) = def.ttl else { return Ok(()) };
        if self.ttl(def).await?.as_deref() == Some(attribute) {
            return Ok(());
        }
        let name = self.name(def);
        let specification = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(attribute)
            .build()
            .map_err(Error::internal)?;
        let set =
            self.sdk.update_time_to_live().table_name(&name).time_to_live_specification(specification).send().await;
        match set {
            Ok(_) => Ok(()),
            Err(error) => match self.ttl(def).await? {
                // Another process was faster.
                Some(found) if found == attribute => Ok(()),
                _ => Err(fault("UpdateTimeToLive", &name, &error)),
            },
        }
    }

    async fn ttl(&self, def: &TableDef) -> Result<Option<String>, Error> {
        let name = self.name(def);
        let output = self
            .sdk
            .describe_time_to_live()
            .table_name(&name)
            .send()
            .await
            .map_err(|error| fault("DescribeTimeToLive", &name, &error))?;
        Ok(output
            .time_to_live_description
            .filter(|ttl| {
                matches!(ttl.time_to_live_status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
            })
            .and_then(|ttl| ttl.attribute_name))
    }
}

const KEY_REMEDY: &str = "a key can't be changed: choose another table prefix, or copy the items into a new table";

fn compare(name: &str, def: &TableDef, found: &TableDescription, differences: &mut Vec<String>) {
    let expected = spell(def.key);
    let actual = spell_schema(found.key_schema(), found.attribute_definitions());
    if actual != expected {
        differences.push(format!("{name} has the key ({actual}) instead of ({expected}): {KEY_REMEDY}"));
    }
    for index in def.indexes {
        let Some(there) = named(found, index.name) else {
            differences.push(format!("{name} has no index {}: add it", index.name));
            continue;
        };
        let actual = spell_schema(there.key_schema(), found.attribute_definitions());
        let expected = spell(index.key);
        if actual != expected {
            differences.push(format!(
                "{name} has the index {} with the key ({actual}) instead of ({expected}): delete the index and add it anew",
                index.name
            ));
        }
        let (actual, expected) = (spell_found(there), spell_projection(index.projection));
        if actual != expected {
            differences.push(format!(
                "{name} has the index {} with {actual} instead of {expected}: delete the index and add it anew",
                index.name
            ));
        }
    }
}

fn spell(key: KeyDef) -> String {
    key.attributes().map(|name| format!("{name} S")).collect::<Vec<_>>().join(", ")
}

fn spell_schema(schema: &[KeySchemaElement], attributes: &[AttributeDefinition]) -> String {
    let mut schema: Vec<_> = schema.iter().collect();
    schema.sort_by_key(|element| element.key_type != KeyType::Hash);
    let spelled = schema.iter().map(|element| {
        let kind = attributes.iter().find(|attribute| attribute.attribute_name == element.attribute_name);
        format!("{} {}", element.attribute_name, kind.map_or("?", |attribute| attribute.attribute_type.as_str()))
    });
    spelled.collect::<Vec<_>>().join(", ")
}

fn spell_projection(projection: Projection) -> String {
    match projection {
        Projection::All => "all attributes".to_owned(),
        Projection::KeysOnly => "the keys only".to_owned(),
        Projection::Include(attributes) => {
            let mut attributes = attributes.to_vec();
            attributes.sort_unstable();
            format!("the attributes {}", attributes.join(", "))
        }
    }
}

fn spell_found(index: &GlobalSecondaryIndexDescription) -> String {
    let Some(projection) = index.projection() else { return "no projection".to_owned() };
    match projection.projection_type() {
        Some(ProjectionType::All) => "all attributes".to_owned(),
        Some(ProjectionType::KeysOnly) => "the keys only".to_owned(),
        _ => {
            let mut attributes = projection.non_key_attributes().to_vec();
            attributes.sort_unstable();
            format!("the attributes {}", attributes.join(", "))
        }
    }
}

fn named<'a>(table: &'a TableDescription, index: &str) -> Option<&'a GlobalSecondaryIndexDescription> {
    table.global_secondary_indexes().iter().find(|there| there.index_name() == Some(index))
}

/// Returns true if the table and all its indexes can be used.
fn is_ready(table: &TableDescription) -> bool {
    let is_active = |status: Option<&IndexStatus>| status.is_none_or(|status| *status == IndexStatus::Active);
    table.table_status == Some(TableStatus::Active)
        && table.global_secondary_indexes().iter().all(|index| is_active(index.index_status()))
}

fn attributes(def: &TableDef) -> Result<Vec<AttributeDefinition>, Error> {
    definitions(def.key.attributes().chain(def.indexes.iter().flat_map(|i| i.key.attributes())))
}

fn definitions(names: impl Iterator<Item = &'static str>) -> Result<Vec<AttributeDefinition>, Error> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .map_err(Error::internal)
        })
        .collect()
}

fn schema(key: KeyDef) -> Result<Vec<KeySchemaElement>, Error> {
    key.attributes()
        .zip([KeyType::Hash, KeyType::Range])
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(Error::internal)
        })
        .collect()
}

fn projection(projection: Projection) -> SdkProjection {
    match projection {
        Projection::All => SdkProjection::builder().projection_type(ProjectionType::All),
        Projection::KeysOnly => SdkProjection::builder().projection_type(ProjectionType::KeysOnly),
        Projection::Include(attributes) => SdkProjection::builder()
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(attributes.iter().map(|&name| name.to_owned()).collect())),
    }
    .build()
}

fn index(def: &IndexDef) -> Result<GlobalSecondaryIndex, Error> {
    GlobalSecondaryIndex::builder()
        .index_name(def.name)
        .set_key_schema(Some(schema(def.key)?))
        .projection(projection(def.projection))
        .build()
        .map_err(Error::internal)
}
