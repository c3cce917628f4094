//! The tables that questions see, with what their columns mean.
//!
//! The name of a site is looked up and not joined: SQLite leaves out what a question does not use.

/// A table that questions in SQL can use.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// The columns, each with what it means.
    pub columns: &'static [(&'static str, &'static str)],
    /// How it is made from the stored tables.
    pub(super) sql: &'static str,
}

/// The stored tables behind them.
pub(super) const STORED: &[&str] = &[
    "sites",
    "devices",
    "channels",
    "changes",
    "jobs",
    "job_targets",
    "job_results",
    "pictures",
    "picture_files",
];

/// The tables, in the order of the reference.
pub fn tables() -> impl Iterator<Item = &'static Table> {
    TABLES.iter()
}

const TABLES: &[Table] = &[
    Table {
        name: "sites",
        about: "A network with an agent.",
        columns: &[
            ("site", "TENANT/SITE"),
            ("tenant", "the customer"),
            ("name", "the operator's name of the site"),
            ("labels", "its labels, with commas"),
            ("devices", "devices in its inventory"),
            ("failing", "of these, devices whose last report was a failure"),
            ("added_at", "when it was added"),
            ("last_seen", "when its agent was last heard"),
            ("last_report", "when a device of it was last reported"),
            ("last_report_ms", "the same in milliseconds since 1970"),
            ("agent_version", "the version of its agent"),
        ],
        sql: "SELECT s.tenant || '/' || s.name AS site, s.tenant AS tenant, s.display_name AS name,
                (SELECT group_concat(label, ',') FROM
                   (SELECT label FROM main.site_labels WHERE site = s.id ORDER BY label)) AS labels,
                (SELECT count(*) FROM main.devices
                  WHERE site = s.id AND address IS NOT NULL) AS devices,
                (SELECT count(*) FROM main.devices
                  WHERE site = s.id AND failing = 1 AND address IS NOT NULL) AS failing,
                moment(s.added_at) AS added_at, moment(s.last_seen) AS last_seen,
                moment((SELECT max(last_report) FROM main.devices WHERE site = s.id)) AS last_report,
                (SELECT max(last_report) FROM main.devices WHERE site = s.id) AS last_report_ms,
                s.agent_version AS agent_version
              FROM main.sites s",
    },
    Table {
        name: "devices",
        about: "A device of the inventory, as last known.",
        columns: &[
            ("device_id", "the lasting name"),
            ("site", "TENANT/SITE"),
            ("tenant", "the customer"),
            ("address", "HOST:PORT"),
            ("hostname", "the operator's name of the device"),
            ("name", "the name configured on the device"),
            ("model", "the model"),
            ("serial", "the serial number"),
            ("firmware", "the firmware; version(firmware) can be compared"),
            ("mac", "the Ethernet address that it reported"),
            ("channels", "how many channels it has; NULL where not known"),
            ("labels", "its own labels, with commas"),
            ("note", "what the operators wrote about it"),
            ("failing", "1 where the last report was a failure"),
            ("error_code", "the failure of the last report; empty where it was good"),
            ("first_known", "when it entered the inventory"),
            ("last_report", "the last report; NULL where there is none"),
            ("last_success", "the last good report"),
            ("last_report_ms", "the last report in milliseconds since 1970"),
            ("last_success_ms", "the last good report in milliseconds since 1970"),
            ("verified", "0 where it merely answered a discovery, and nobody vouches for it"),
            ("last_seen", "when a discovery last saw it; NULL where none has"),
            ("gone_since", "since when complete discoveries of its network do not see it, or NULL"),
        ],
        sql: "SELECT d.name AS device_id, (SELECT tenant || '/' || name FROM main.sites WHERE id = d.site) AS site,
                (SELECT tenant FROM main.sites WHERE id = d.site) AS tenant,
                d.address AS address, d.hostname AS hostname, d.device_name AS name,
                d.model AS model, d.serial AS serial, d.firmware AS firmware,
                mac_text(d.mac) AS mac, d.channel_count AS channels,
                (SELECT group_concat(label, ',') FROM
                   (SELECT label FROM main.device_labels WHERE device = d.id ORDER BY label))
                  AS labels,
                d.note AS note, d.failing AS failing, d.last_failure AS error_code,
                moment(d.first_known) AS first_known, moment(d.last_report) AS last_report,
                moment(d.last_success) AS last_success, d.last_report AS last_report_ms,
                d.last_success AS last_success_ms, d.trusted AS verified,
                moment(d.seen_at) AS last_seen, moment(d.gone_at) AS gone_since
              FROM main.devices d
              WHERE d.address IS NOT NULL",
    },
    Table {
        name: "channels",
        about: "A channel of a device of the inventory, as last known.",
        columns: &[
            ("device_id", "the recorder"),
            ("site", "TENANT/SITE"),
            ("tenant", "the customer"),
            ("hostname", "the operator's name of the recorder"),
            ("device_address", "HOST:PORT of the recorder"),
            ("channel", "the recorder's name of the channel, as text"),
            ("name", "the camera's name"),
            ("address", "the camera's address; empty where the recorder does not say"),
            ("port", "the camera's port; 0 where the recorder does not say"),
            ("status", "Online, Offline, Unknown, empty, or the recorder's own word"),
            ("protocol", "the camera's maker or protocol"),
            ("model", "the camera's model"),
            ("since", "since when the status is known to be this one"),
            ("since_ms", "the same in milliseconds since 1970"),
        ],
        sql: "SELECT d.name AS device_id, (SELECT tenant || '/' || name FROM main.sites WHERE id = d.site) AS site,
                (SELECT tenant FROM main.sites WHERE id = d.site) AS tenant,
                d.hostname AS hostname, d.address AS device_address, c.channel AS channel,
                c.name AS name, c.address AS address, c.port AS port, c.status AS status,
                c.protocol AS protocol, c.model AS model, moment(c.since) AS since,
                c.since AS since_ms
              FROM main.channels c JOIN main.devices d ON d.id = c.device WHERE d.address IS NOT NULL",
    },
    Table {
        name: "changes",
        about: "A change, as tvtctl changes list shows it.",
        columns: &[
            ("id", "the same for the same change"),
            ("at", "when it was seen"),
            ("at_ms", "the same in milliseconds since 1970"),
            ("site", "TENANT/SITE"),
            ("tenant", "the customer"),
            ("device_id", "the device"),
            ("hostname", "the operator's name of the device"),
            ("address", "where the device stood then"),
            ("kind", "the sort of change"),
            ("channel", "the channel; empty where the change is the device's"),
            ("channel_name", "its name"),
            ("field", "the field, as result files call it"),
            ("old", "what was known before"),
            ("new", "what is known since"),
            ("job", "the job that found it; NULL where none did"),
        ],
        sql: "SELECT uuid_text(c.uid) AS id, moment(c.at) AS at, c.at AS at_ms,
                (SELECT tenant || '/' || name FROM main.sites WHERE id = c.site) AS site,
                (SELECT tenant FROM main.sites WHERE id = c.site) AS tenant, d.name AS device_id,
                d.hostname AS hostname, c.address AS address, c.kind AS kind,
                c.channel AS channel, c.channel_name AS channel_name, c.field AS field,
                c.old AS old, c.new AS new,
                (SELECT uuid_text(j.uuid) FROM main.jobs j WHERE j.id = c.job) AS job
              FROM main.changes c JOIN main.devices d ON d.id = c.device",
    },
    Table {
        name: "jobs",
        about: "A job.",
        columns: &[
            ("job", "its id"),
            ("state", "as tvtctl jobs list shows it"),
            ("submitted_by", "who asked"),
            ("submitted_at", "when"),
            ("submitted_at_ms", "the same in milliseconds since 1970"),
            ("deadline_at", "when it ends at the latest"),
            ("ended_at", "when it ended; NULL while it runs"),
            ("sites", "sites that take part"),
            ("devices", "devices to ask"),
            ("ok", "of these, devices that were asked with success"),
            ("failed", "devices that failed"),
            ("channels", "channels that were found"),
        ],
        sql: "SELECT uuid_text(uuid) AS job, state AS state, submitted_by AS submitted_by,
                moment(submitted_at) AS submitted_at, submitted_at AS submitted_at_ms,
                moment(deadline_at) AS deadline_at, moment(ended_at) AS ended_at,
                sites_total AS sites, total AS devices, ok AS ok, failed AS failed,
                channels AS channels
              FROM main.jobs",
    },
    Table {
        name: "results",
        about: "A device of a job, reported or not. Ask with job = '...'.",
        columns: &[
            ("job", "the job"),
            ("site", "TENANT/SITE"),
            ("tenant", "the customer"),
            ("device_id", "the device that answered"),
            ("address", "HOST:PORT that was asked"),
            ("ok", "1 for success, 0 for a failure, NULL where nothing was reported"),
            ("error_code", "the failure, else the first warning; NULL where there is none"),
            ("backend", "the backend that answered"),
            ("observed_at", "when the last answer came"),
        ],
        sql: "SELECT uuid_text(j.uuid) AS job, s.tenant || '/' || s.name AS site,
                s.tenant AS tenant, d.name AS device_id, t.address AS address, r.ok AS ok,
                report_json(r.report) ->> 'code' AS error_code,
                report_json(r.report) ->> 'backend' AS backend,
                moment(report_json(r.report) ->> 'observed_at') AS observed_at
              FROM main.jobs j CROSS JOIN main.job_targets t ON t.job = j.id
              LEFT JOIN main.job_results r
                ON r.job = t.job AND r.ordinal = t.ordinal AND r.number = t.number
              JOIN main.devices d ON d.id = coalesce(r.device, t.device)
              JOIN main.sites s ON s.id = d.site",
    },
    Table {
        name: "attempts",
        about: "A try of a backend on a device, in a job. Ask with job = '...'.",
        columns: &[
            ("job", "the job"),
            ("site", "TENANT/SITE"),
            ("tenant", "the customer"),
            ("device_id", "the device"),
            ("attempt", "its number, from 1"),
            ("backend", "the backend"),
            ("started_at", "when it began"),
            ("duration_ms", "how long it took, in milliseconds"),
            ("error_code", "how it failed; empty where it worked"),
        ],
        sql: "SELECT uuid_text(j.uuid) AS job, s.tenant || '/' || s.name AS site,
                s.tenant AS tenant, d.name AS device_id, a.key + 1 AS attempt,
                a.value ->> 'backend' AS backend, moment(a.value ->> 'started_at') AS started_at,
                a.value ->> 'duration_ms' AS duration_ms, a.value ->> 'code' AS error_code
              FROM main.jobs j CROSS JOIN main.job_results r ON r.job = j.id
              CROSS JOIN json_each(report_json(r.report), '$.attempts') a
              JOIN main.devices d ON d.id = r.device JOIN main.sites s ON s.id = d.site",
    },
    Table {
        name: "pictures",
        about: "A picture that a snapshot of the fleet took, for as long as it is kept.",
        columns: &[
            ("picture", "its number"),
            ("site", "TENANT/SITE"),
            ("tenant", "the customer"),
            ("device_id", "the device"),
            ("hostname", "the operator's name of the device"),
            ("device_address", "HOST:PORT of the device"),
            ("channel", "the channel, from 1"),
            ("name", "the channel's name; empty where the recorder was not asked"),
            ("taken_at", "when it was taken"),
            ("taken_at_ms", "the same in milliseconds since 1970"),
            ("way", "how it came: webapi, sdk or rtsp"),
            ("stream", "the stream it is of; empty for a still"),
            ("format", "jpeg, h264 or h265"),
            ("width", "columns"),
            ("height", "rows"),
            ("bytes", "its size"),
            ("sha256", "the digest of its bytes, as hexadecimal text"),
            ("flags", "what is doubtful about it, with commas"),
            ("job", "the job that took it"),
            ("stored", "1 where the coordinator has its bytes"),
        ],
        sql: "SELECT p.id AS picture, s.tenant || '/' || s.name AS site, s.tenant AS tenant,
                d.name AS device_id, d.hostname AS hostname, d.address AS device_address,
                p.channel AS channel, p.name AS name, moment(p.taken_at) AS taken_at,
                p.taken_at AS taken_at_ms, p.way AS way, p.stream AS stream, p.format AS format,
                p.width AS width, p.height AS height, p.bytes AS bytes,
                lower(hex(p.sha256)) AS sha256, p.flags AS flags, uuid_text(p.job) AS job,
                EXISTS (SELECT 1 FROM main.picture_files f
                         WHERE f.tenant = s.tenant AND f.sha256 = p.sha256) AS stored
              FROM main.pictures p JOIN main.sites s ON s.id = p.site
              JOIN main.devices d ON d.id = p.device",
    },
];
